%%% The orders of the shop, numbered from 1. A total is in cents.
-module(order_server).
-behaviour(gen_server).

-export([start_link/0]).
-export([init/1, handle_call/3, handle_cast/2]).

start_link() ->
    gen_server:start_link({local, ?MODULE}, ?MODULE, [], []).

init([]) ->
    {ok, []}.

handle_call({place_order, CustomerId, Cents}, _From, Orders)
  when is_binary(CustomerId), is_integer(Cents), Cents > 0 ->
    Number = length(Orders) + 1,
    {reply, {ok, Number}, [{Number, CustomerId, Cents} | Orders]};
handle_call({orders_of, CustomerId}, _From, Orders) ->
    {reply, [Order || Order = {_, Id, _} <- lists:reverse(Orders), Id =:= CustomerId], Orders};
handle_call(count, _From, Orders) ->
    {reply, length(Orders), Orders};
handle_call(_Request, _From, Orders) ->
    {reply, {error, bad_request}, Orders}.

handle_cast(_Message, Orders) ->
    {noreply, Orders}.
