%%% A customers' server by hand, without `gen_server`. It works, and has the faults of its kind:
%%%
%%%   an answer is not matched to its question, so one that comes late is taken for the next;
%%%   a caller is not told when the server ends, and waits for its whole time-out;
%%%   nobody is linked to it, so no supervisor hears of its end;
%%%   it calls `serve` without naming the module, so new code never reaches a running process.
-module(bare_customer_server).

-export([start/0, init/0, add_customer/2, get_customer/2, update_balance/3]).

start() ->
    Pid = spawn(?MODULE, init, []),
    register(?MODULE, Pid),
    Pid.

init() ->
    serve(#{}).

serve(Customers) ->
    receive
        {add_customer, Id, Customer, Client} ->
            Client ! {ok, added},
            serve(Customers#{Id => Customer});
        {get_customer, Id, Client} ->
            Client ! {customer, maps:get(Id, Customers, not_found)},
            serve(Customers);
        {update_balance, Id, Cents, Client} ->
            Customer = maps:get(Id, Customers),
            Client ! {ok, updated},
            serve(Customers#{Id => Customer#{balance => Cents}});
        stop ->
            ok;
        _ ->
            serve(Customers)
    end.

add_customer(Id, Customer) ->
    ?MODULE ! {add_customer, Id, Customer, self()},
    receive {ok, added} -> ok after 5000 -> timeout end.

get_customer(Id, Milliseconds) ->
    ?MODULE ! {get_customer, Id, self()},
    receive {customer, Customer} -> Customer after Milliseconds -> timeout end.

update_balance(Id, Cents, Milliseconds) ->
    ?MODULE ! {update_balance, Id, Cents, self()},
    receive {ok, updated} -> ok after Milliseconds -> timeout end.
