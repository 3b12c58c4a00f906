%%% The second version of the customers' server, to be loaded while the first is running.
%%%
%%% Its state has another shape: it also counts the changes. `code_change` makes it from the old.
-module(customer_server).
-behaviour(gen_server).

-export([start_link/0, get_customer/1, get_customer/2]).
-export([init/1, handle_call/3, handle_cast/2, code_change/3]).

-record(state, {customers = #{}, changes = 0}).

start_link() ->
    gen_server:start_link({local, ?MODULE}, ?MODULE, [], []).

get_customer(Id) ->
    get_customer(Id, 5000).

get_customer(Id, Milliseconds) ->
    gen_server:call(?MODULE, {get_customer, Id}, Milliseconds).

init([]) ->
    {ok, #state{}}.

handle_call({add_customer, Id, Name, Cents}, _From, State = #state{customers = Customers})
  when is_binary(Name), is_integer(Cents) ->
    case Customers of
        #{Id := _} -> {reply, {error, customer_exists}, State};
        #{} -> {reply, ok, changed(Customers#{Id => #{name => Name, balance => Cents}}, State)}
    end;
handle_call({get_customer, Id}, _From, State = #state{customers = Customers}) ->
    case Customers of
        #{Id := Customer} -> {reply, {ok, Customer}, State};
        #{} -> {reply, {error, unknown_customer}, State}
    end;
handle_call({update_balance, Id, Cents}, _From, State = #state{customers = Customers})
  when is_integer(Cents) ->
    case Customers of
        #{Id := Customer} ->
            {reply, ok, changed(Customers#{Id := Customer#{balance := Cents}}, State)};
        #{} ->
            {reply, {error, unknown_customer}, State}
    end;
handle_call({deposit, Id, Cents}, _From, State = #state{customers = Customers})
  when is_integer(Cents) ->
    Customer = #{balance := Balance} = maps:get(Id, Customers),
    Changed = Customers#{Id := Customer#{balance := Balance + Cents}},
    {reply, {ok, Balance + Cents}, changed(Changed, State)};
handle_call(count, _From, State = #state{customers = Customers}) ->
    {reply, map_size(Customers), State};
handle_call(changes, _From, State = #state{changes = Changes}) ->
    {reply, Changes, State};
%% A digest of all customers, digested as often as the caller wishes: a call that takes some time.
handle_call({fingerprint, Rounds}, _From, State = #state{customers = Customers}) ->
    Digest = fun(_, Data) -> erlang:md5(Data) end,
    Start = term_to_binary(Customers, [deterministic]),
    {reply, lists:foldl(Digest, Start, lists:seq(1, Rounds)), State};
handle_call(version, _From, State) ->
    {reply, 2, State};
handle_call(_Request, _From, State) ->
    {reply, {error, bad_request}, State}.

handle_cast(_Message, State) ->
    {noreply, State}.

%% The first version's state is the map of the customers alone.
code_change(_Version, Customers, _Extra) when is_map(Customers) ->
    {ok, #state{customers = Customers}}.

changed(Customers, State = #state{changes = Changes}) ->
    State#state{customers = Customers, changes = Changes + 1}.
