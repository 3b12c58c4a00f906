%%% Where nodes listen, without `epmd`: this node is told about others by whoever started them.
%%%
%%% `epmd` is a process that listens on a fixed port and outlives the nodes that it serves. This
%%% module has its interface ("How to Implement an Alternative Node Discovery for Erlang
%%% Distribution", ERTS User's Guide) and is named by the flag -epmd_module.
-module(node_directory).

-export([port/0, learn/2]).
-export([start_link/0, register_node/2, register_node/3, listen_port_please/2, names/1]).
-export([address_please/3, port_please/2, port_please/3]).

%% Where this node listens for other nodes.
port() ->
    persistent_term:get({?MODULE, here}).

%% The node of that name, a string without its host, listens there on 127.0.0.1.
learn(Name, Port) ->
    persistent_term:put({?MODULE, binary_to_list(Name)}, Port).

start_link() ->
    ignore.

register_node(Name, Port) ->
    register_node(Name, Port, inet).

register_node(_Name, Port, _Family) ->
    persistent_term:put({?MODULE, here}, Port),
    {ok, rand:uniform(1 bsl 31) + 3}.

listen_port_please(_Name, _Host) ->
    {ok, 0}.

address_please(Name, _Host, _Family) ->
    case persistent_term:get({?MODULE, Name}, unknown) of
        unknown -> {error, nxdomain};
        Port -> {ok, {127, 0, 0, 1}, Port, 6}
    end.

port_please(Name, Host) ->
    port_please(Name, Host, infinity).

port_please(Name, _Host, _Milliseconds) ->
    case persistent_term:get({?MODULE, Name}, unknown) of
        unknown -> noport;
        Port -> {port, Port, 6}
    end.

names(_Host) ->
    {error, address}.
