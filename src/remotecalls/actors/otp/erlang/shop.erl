%%% The shop as an OTP application, whose top is `customer_supervisor`.
-module(shop).
-behaviour(application).

-export([run/3]).
-export([start/2, stop/1]).

%% Start the application with a restart strategy. When its supervisor gives up, the application
%% ends and the node goes on.
run(Strategy, Intensity, PeriodSeconds) ->
    _ = application:load(?MODULE),
    ok = application:set_env(?MODULE, restarts, {Strategy, Intensity, PeriodSeconds}),
    application:start(?MODULE, temporary).

start(_Type, _Arguments) ->
    {ok, {Strategy, Intensity, PeriodSeconds}} = application:get_env(?MODULE, restarts),
    customer_supervisor:start_link(Strategy, Intensity, PeriodSeconds).

stop(_State) ->
    ok.
