%%% A client of the server by hand, and that server, made to act in an order that one chooses.
-module(scripted_calls).

-export([run/1]).

-define(SERVER, bare_customer_server).
-define(CUSTOMERS, [<<"ada">>, <<"bob">>]).
-define(BEFORE, 100).
-define(AFTER, 200).

%% Events, as binaries:
%%   ask ada, ask bob   the client asks for a change of that balance, and waits
%%   give up            it waits no longer
%%   serve              the server handles what has arrived, and is held again
%%   crash              the server ends with all that it has, and another begins
%% As long as the client waits it takes the first {ok, updated} that it has for its answer.
%% Returns the customers whose change the client holds for made, in that order, and those whose
%% change a server has made.
run(Events) ->
    Start = #{server => held(), asked => nobody, confirmed => [], made => []},
    try lists:foldl(fun happen/2, Start, Events) of
        #{confirmed := Confirmed, made := Made} ->
            #{confirmed => lists:reverse(Confirmed), made => Made}
    after
        shop_process:killed(whereis(?SERVER))
    end.

happen(<<"ask ", Id/binary>>, State = #{asked := nobody}) ->
    true = lists:member(Id, ?CUSTOMERS),
    ?SERVER ! {update_balance, Id, ?AFTER, self()},
    heard(State#{asked := Id});
happen(<<"give up">>, State = #{asked := Id}) when Id =/= nobody ->
    State#{asked := nobody};
happen(<<"serve">>, State = #{server := Pid, made := Made}) ->
    true = erlang:resume_process(Pid),
    shop_process:drained(Pid),
    Now = [Id || Id <- ?CUSTOMERS, balance(Id) =:= ?AFTER],
    true = erlang:suspend_process(Pid),
    heard(State#{made := lists:usort(Made ++ Now)});
happen(<<"crash">>, State = #{server := Pid}) ->
    shop_process:killed(Pid),
    State#{server := held()};
happen(Event, _State) ->
    error({not_now, Event}).

heard(State = #{asked := nobody}) ->
    State;
heard(State = #{asked := Id, confirmed := Confirmed}) ->
    receive {ok, updated} -> State#{asked := nobody, confirmed := [Id | Confirmed]}
    after 0 -> State
    end.

balance(Id) ->
    #{balance := Balance} = ?SERVER:get_customer(Id, 5000),
    Balance.

held() ->
    Pid = ?SERVER:start(),
    [ok = ?SERVER:add_customer(Id, #{name => Id, balance => ?BEFORE}) || Id <- ?CUSTOMERS],
    true = erlang:suspend_process(Pid),
    Pid.
