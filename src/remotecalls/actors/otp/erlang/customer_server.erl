%%% The customers of the shop: one process owns them, and one message at a time changes them.
%%%
%%% A customer is #{name => binary(), balance => integer()}, the balance in cents.
-module(customer_server).
-behaviour(gen_server).

-export([start_link/0, get_customer/1, get_customer/2]).
-export([init/1, handle_call/3, handle_cast/2]).

start_link() ->
    gen_server:start_link({local, ?MODULE}, ?MODULE, [], []).

get_customer(Id) ->
    get_customer(Id, 5000).

%% Exits with {timeout, _} when no answer comes in that many milliseconds, and at once when the
%% server is gone or ends before it has answered.
get_customer(Id, Milliseconds) ->
    gen_server:call(?MODULE, {get_customer, Id}, Milliseconds).

init([]) ->
    {ok, #{}}.

handle_call({add_customer, Id, Name, Cents}, _From, Customers)
  when is_binary(Name), is_integer(Cents) ->
    case Customers of
        #{Id := _} -> {reply, {error, customer_exists}, Customers};
        #{} -> {reply, ok, Customers#{Id => #{name => Name, balance => Cents}}}
    end;
handle_call({get_customer, Id}, _From, Customers) ->
    case Customers of
        #{Id := Customer} -> {reply, {ok, Customer}, Customers};
        #{} -> {reply, {error, unknown_customer}, Customers}
    end;
handle_call({update_balance, Id, Cents}, _From, Customers) when is_integer(Cents) ->
    case Customers of
        #{Id := Customer} -> {reply, ok, Customers#{Id := Customer#{balance := Cents}}};
        #{} -> {reply, {error, unknown_customer}, Customers}
    end;
%% Whoever sends this is sure that the customer exists. If not, the server crashes: it has no
%% sensible answer to a caller whose picture of the world is wrong.
handle_call({deposit, Id, Cents}, _From, Customers) when is_integer(Cents) ->
    Customer = #{balance := Balance} = maps:get(Id, Customers),
    {reply, {ok, Balance + Cents}, Customers#{Id := Customer#{balance := Balance + Cents}}};
handle_call(count, _From, Customers) ->
    {reply, map_size(Customers), Customers};
%% A digest of all customers, digested as often as the caller wishes: a call that takes some time.
handle_call({fingerprint, Rounds}, _From, Customers) ->
    Digest = fun(_, Data) -> erlang:md5(Data) end,
    Start = term_to_binary(Customers, [deterministic]),
    {reply, lists:foldl(Digest, Start, lists:seq(1, Rounds)), Customers};
handle_call(version, _From, Customers) ->
    {reply, 1, Customers};
handle_call(_Request, _From, Customers) ->
    {reply, {error, bad_request}, Customers}.

handle_cast(_Message, Customers) ->
    {noreply, Customers}.
