%%% What a node of ours does first: `erl ... -s node_host`.
-module(node_host).

-export([start/0]).

%% Says where the node listens. The node ends when its standard input does, so it does not outlive
%% whoever holds the other end.
start() ->
    forget_cookie(init:get_argument(cookie_directory)),
    ok = supervisor_reports:install(),
    spawn(fun end_with_input/0),
    io:format("listening on 127.0.0.1:~b~n", [node_directory:port()]).

%% The cookie has been read; its file and directory are not needed any more.
forget_cookie({ok, [[Directory]]}) ->
    ok = file:delete(filename:join(Directory, ".erlang.cookie")),
    ok = file:del_dir(Directory);
forget_cookie(error) ->
    ok.

end_with_input() ->
    case io:get_line(standard_io, "") of
        Line when is_list(Line) -> end_with_input();
        _ -> halt(0, [{flush, false}])
    end.
