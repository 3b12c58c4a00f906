%%% What processes and messages cost inside one node.
-module(measuring).

-export([processes/1, calls/1, busy/3, copying/1]).

%% Start so many processes that wait for a message. Returns the nanoseconds that starting them
%% took, the bytes that the node's processes use more than before, and what one process says of
%% itself.
processes(Count) ->
    garbage_collect(),
    Before = erlang:memory(processes_used),
    Start = erlang:monotonic_time(nanosecond),
    Pids = [spawn(fun wait/0) || _ <- lists:seq(1, Count)],
    Nanoseconds = erlang:monotonic_time(nanosecond) - Start,
    Bytes = erlang:memory(processes_used) - Before,
    {memory, Own} = process_info(hd(Pids), memory),
    Monitors = [monitor(process, Pid) || Pid <- Pids],
    [Pid ! stop || Pid <- Pids],
    [receive {'DOWN', Monitor, process, _, normal} -> ok end || Monitor <- Monitors],
    #{nanoseconds => Nanoseconds, bytes => Bytes, own_bytes => Own}.

%% Call a `gen_server` so many times, one after the other. Returns the nanoseconds.
calls(Count) ->
    {ok, Pid} = gen_server:start(customer_server, [], []),
    Start = erlang:monotonic_time(nanosecond),
    call(Pid, Count),
    Nanoseconds = erlang:monotonic_time(nanosecond) - Start,
    gen_server:stop(Pid),
    Nanoseconds.

%% Start so many processes that count without end and never wait. Beside them, sleep so often for
%% that many milliseconds. Returns by how many microseconds each sleep ended late, how far the
%% processes have counted, and on how many schedulers all this ran.
busy(Processes, Sleeps, Milliseconds) ->
    Counter = counters:new(1, [write_concurrency]),
    Pids = [spawn(fun() -> count(Counter) end) || _ <- lists:seq(1, Processes)],
    Late = [late(Milliseconds) || _ <- lists:seq(1, Sleeps)],
    [exit(Pid, kill) || Pid <- Pids],
    #{late => Late,
      counted => counters:get(Counter, 1),
      schedulers => erlang:system_info(schedulers_online)}.

%% Send a list of so many integers, and a binary of as many bytes, to a process each. Returns how
%% many bytes each process uses before and after it holds its message: a list is copied to the
%% heap of its receiver; of a large binary, a reference is.
copying(Size) ->
    #{list => held(lists:seq(1, Size)), binary => held(binary:copy(<<0>>, Size))}.

held(Message) ->
    Pid = spawn(fun hold/0),
    Before = memory_of(Pid),
    Pid ! {message, Message},
    After = memory_of(Pid),
    exit(Pid, kill),
    {Before, After}.

%% The answer comes when the process has taken all that was sent before, and collected garbage.
memory_of(Pid) ->
    Pid ! {memory, self()},
    receive {Pid, Bytes} -> Bytes after 5000 -> error(no_answer) end.

hold() ->
    receive {memory, Client} -> report(Client) end,
    Message = receive {message, Sent} -> Sent end,
    receive {memory, Again} -> report(Again) end,
    receive never -> Message end.

report(Client) ->
    garbage_collect(),
    {memory, Bytes} = process_info(self(), memory),
    Client ! {self(), Bytes}.

wait() ->
    receive stop -> ok end.

call(_Pid, 0) ->
    ok;
call(Pid, Count) ->
    0 = gen_server:call(Pid, count),
    call(Pid, Count - 1).

count(Counter) ->
    counters:add(Counter, 1, 1),
    count(Counter).

late(Milliseconds) ->
    Start = erlang:monotonic_time(microsecond),
    receive after Milliseconds -> ok end,
    erlang:monotonic_time(microsecond) - Start - Milliseconds * 1000.
