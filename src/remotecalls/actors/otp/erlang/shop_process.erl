%%% Waiting for a process.
-module(shop_process).

-export([drained/1, killed/1]).

%% Wait until the process has taken all its messages, and waits for more. Its answers to the caller
%% have arrived by then: signals between two processes keep their order.
drained(Pid) ->
    case process_info(Pid, [message_queue_len, status]) of
        [{message_queue_len, 0}, {status, waiting}] -> ok;
        _ -> timer:sleep(1), drained(Pid)
    end.

%% Kill the process, and wait until it has ended.
killed(Pid) ->
    Monitor = monitor(process, Pid),
    exit(Pid, kill),
    receive {'DOWN', Monitor, process, Pid, _} -> ok after 5000 -> error(still_running) end.
