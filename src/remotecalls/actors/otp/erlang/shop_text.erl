%%% Terms as text, for whoever cannot read every kind of term.
-module(shop_text).

-export([of_term/1]).

of_term(Term) ->
    unicode:characters_to_binary(io_lib:format("~0tp", [Term])).
