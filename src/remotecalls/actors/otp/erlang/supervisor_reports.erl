%%% Keeps what supervisors report to OTP's logger, as data.
-module(supervisor_reports).

-export([install/0, all/0]).
-export([log/2]).

install() ->
    Ready = self(),
    Owner = spawn(fun() ->
                          ets:new(?MODULE, [named_table, public, ordered_set]),
                          Ready ! {self(), made},
                          receive never -> ok end
                  end),
    receive {Owner, made} -> ok end,
    logger:add_handler(?MODULE, ?MODULE, #{level => error}).

%% In order: {What, Child, Reason}. What is child_terminated, start_error, shutdown (the
%% supervisor gives up) and others that OTP's `supervisor` reports.
all() ->
    [Report || {_, Report} <- ets:tab2list(?MODULE)].

%% logger's callback; it runs in the process that logs.
log(#{msg := {report, #{label := {supervisor, What}, report := Report}}}, _Config) ->
    Child = proplists:get_value(id, proplists:get_value(offender, Report, []), undefined),
    Reason = shop_text:of_term(proplists:get_value(reason, Report)),
    ets:insert(?MODULE, {erlang:unique_integer([monotonic]), {What, Child, Reason}}),
    ok;
log(_Event, _Config) ->
    ok.
