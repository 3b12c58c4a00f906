%%% A supervisor whose child starts the wrong way: `start` answers with a bare process identifier
%%% and links to nobody. `supervisor` wants {ok, Pid} of a process that is linked to it.
-module(bare_supervisor).
-behaviour(supervisor).

-export([attempt/0]).
-export([init/1]).

%% Try to start it twice. Each time: what `supervisor` says, and how many servers that nobody
%% supervises are running afterwards. They are killed in the end.
attempt() ->
    process_flag(trap_exit, true),
    Attempts = [{supervisor:start_link(?MODULE, []), length(orphans())} || _ <- [first, second]],
    [exit(Pid, kill) || Pid <- orphans()],
    [#{answer => shop_text:of_term(Answer), orphans => Orphans} || {Answer, Orphans} <- Attempts].

init([]) ->
    Child = #{id => customer_server, start => {bare_customer_server, start, []}},
    {ok, {#{strategy => one_for_one, intensity => 5, period => 60}, [Child]}}.

orphans() ->
    Begun = {initial_call, {bare_customer_server, init, 0}},
    [Pid || Pid <- processes(), process_info(Pid, initial_call) =:= Begun].
