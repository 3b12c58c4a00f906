%%% A process on another node: the same `spawn`, `!` and `monitor` as here, and what differs.
-module(far_process).

-export([round_trips/2, watch/1, send/2, watched/0]).
-export([echo/0, watching/2]).

%% Start an echo on a node, which may be this one, and send it so many messages, each after the
%% answer to the one before. Returns the nanoseconds of each round trip.
round_trips(Node, Count) ->
    Pid = spawn(Node, ?MODULE, echo, []),
    Nanoseconds = [round_trip(Pid) || _ <- lists:seq(0, Count)],
    Pid ! stop,
    tl(Nanoseconds).  % the first has waited for the process to start

%% Start an echo on a node and a process here that monitors it.
watch(Node) ->
    Started = self(),
    spawn(?MODULE, watching, [Node, Started]),
    receive {watching, Pid} -> Pid after 5000 -> error(no_answer) end.

%% Send one message to the watched echo. Returns what `!` returned.
send(Pid, Message) ->
    case Pid ! {self(), Message} of {_, Message} -> sent end.

%% What the monitor has said: `alive`, or the reason of the end.
watched() ->
    ?MODULE ! {what, self()},
    receive {what, Answer} -> Answer after 5000 -> error(no_answer) end.

echo() ->
    receive
        {Client, Message} -> Client ! {self(), Message}, echo();
        stop -> ok
    end.

watching(Node, Started) ->
    register(?MODULE, self()),
    Pid = spawn(Node, ?MODULE, echo, []),
    Monitor = monitor(process, Pid),
    Started ! {watching, Pid},
    watching_on(Monitor, alive).

watching_on(Monitor, Heard) ->
    receive
        {what, Client} -> Client ! {what, Heard}, watching_on(Monitor, Heard);
        {'DOWN', Monitor, process, _, Reason} -> watching_on(Monitor, Reason)
    end.

round_trip(Pid) ->
    Start = erlang:monotonic_time(nanosecond),
    Pid ! {self(), Start},
    receive {Pid, Start} -> erlang:monotonic_time(nanosecond) - Start after 5000 -> error(lost) end.
