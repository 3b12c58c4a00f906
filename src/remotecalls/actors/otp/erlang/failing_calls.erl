%%% The same two misfortunes, told to a caller of the server by hand and to one of `gen_server`.
-module(failing_calls).

-export([late/1, crash/1]).

-define(ALICE, #{name => <<"Alice">>, balance => 100}).
-define(BOB, #{name => <<"Bob">>, balance => 200}).

%% Ask for Alice while the server is held, give up after that many milliseconds, let the server go
%% on, and once its late answer has come, ask for Bob and then for Alice again. Returns the answers.
late(Milliseconds) ->
    #{bare => late_bare(Milliseconds), gen_server => late_gen_server(Milliseconds)}.

late_bare(Milliseconds) ->
    Pid = bare_customer_server:start(),
    ok = bare_customer_server:add_customer(<<"alice">>, ?ALICE),
    ok = bare_customer_server:add_customer(<<"bob">>, ?BOB),
    Get = fun(Id, Wait) -> bare_customer_server:get_customer(Id, Wait) end,
    Answers = late_answers(Pid, Get, Milliseconds),
    stopped(Pid, fun() -> Pid ! stop end),
    Answers.

late_gen_server(Milliseconds) ->
    {ok, Pid} = gen_server:start(customer_server, [], []),
    ok = gen_server:call(Pid, {add_customer, <<"alice">>, <<"Alice">>, 100}),
    ok = gen_server:call(Pid, {add_customer, <<"bob">>, <<"Bob">>, 200}),
    Get = fun(Id, Wait) ->
                  try gen_server:call(Pid, {get_customer, Id}, Wait) of
                      {ok, Customer} -> Customer
                  catch
                      exit:{timeout, _} -> timeout
                  end
          end,
    Answers = late_answers(Pid, Get, Milliseconds),
    stopped(Pid, fun() -> gen_server:stop(Pid) end),
    Answers.

late_answers(Pid, Get, Milliseconds) ->
    true = erlang:suspend_process(Pid),
    First = Get(<<"alice">>, Milliseconds),
    true = erlang:resume_process(Pid),
    shop_process:drained(Pid),
    [First, Get(<<"bob">>, 5000), Get(<<"alice">>, 5000)].

%% Let the server crash in the middle of a call that may take that many milliseconds. Returns what
%% the caller learns, and after how many microseconds.
crash(Milliseconds) ->
    #{bare => crash_bare(Milliseconds), gen_server => crash_gen_server(Milliseconds)}.

crash_bare(Milliseconds) ->
    Pid = bare_customer_server:start(),
    Call = fun() -> bare_customer_server:update_balance(<<"nobody">>, 1, Milliseconds) end,
    {Microseconds, Answer} = timer:tc(Call),
    stopped(Pid, fun() -> ok end),
    {shop_text:of_term(Answer), Microseconds}.

crash_gen_server(Milliseconds) ->
    {ok, Pid} = gen_server:start(customer_server, [], []),
    Call = fun() ->
                   try gen_server:call(Pid, {deposit, <<"nobody">>, 1}, Milliseconds)
                   catch exit:{{Reason, _Stack}, _Call} -> Reason
                   end
           end,
    {Microseconds, Answer} = timer:tc(Call),
    stopped(Pid, fun() -> ok end),
    {shop_text:of_term(Answer), Microseconds}.

stopped(Pid, Stop) ->
    Monitor = monitor(process, Pid),
    Stop(),
    receive {'DOWN', Monitor, process, Pid, _} -> ok after 5000 -> error(still_running) end.
