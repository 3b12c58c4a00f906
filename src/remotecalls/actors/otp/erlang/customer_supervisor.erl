%%% Starts the shop's servers in this order, and starts again what ends.
-module(customer_supervisor).
-behaviour(supervisor).

-export([start_link/3]).
-export([init/1]).

%% Strategy: one_for_one, one_for_all or rest_for_one. More than Intensity restarts within
%% PeriodSeconds end the supervisor and all its children.
start_link(Strategy, Intensity, PeriodSeconds) ->
    supervisor:start_link({local, ?MODULE}, ?MODULE, {Strategy, Intensity, PeriodSeconds}).

init({Strategy, Intensity, PeriodSeconds}) ->
    Flags = #{strategy => Strategy, intensity => Intensity, period => PeriodSeconds},
    {ok, {Flags, [worker(customer_server), worker(order_server)]}}.

worker(Module) ->
    #{id => Module,
      start => {Module, start_link, []},
      restart => permanent,
      shutdown => 5000,
      type => worker,
      modules => [Module]}.
