%%% Whether a compiled module says the same as its source, found without a compiler.
-module(source_check).

-export([differences/2]).

%% Parse the source, and compare its forms with those in the module's debug information. Where
%% something stands in the file is not compared. Returns the forms that only one of them has.
differences(Source, Beam) ->
    {ok, Parsed} = epp:parse_file(binary_to_list(Source), []),
    {ok, {_, [{debug_info, {debug_info_v1, Backend, Information}}]}} =
        beam_lib:chunks(Beam, [debug_info]),
    {ok, Kept} = Backend:debug_info(erlang_v1, unused, Information, []),
    In = forms(Parsed),
    Out = forms(Kept),
    [shop_text:of_term(Form) || Form <- (In -- Out) ++ (Out -- In)].

forms(Forms) ->
    [erl_parse:map_anno(fun(_) -> erl_anno:new(0) end, Form) || Form <- Forms, is_code(Form)].

is_code({attribute, _, file, _}) -> false;
is_code({eof, _}) -> false;
is_code(_) -> true.
