"""What a query may cost, counted before it is run.

A field costs one. Under a list, everything costs as many times as the list may be long, which is
its argument `limit`. A query of forty characters can cost a million, so length says nothing.
"""

from __future__ import annotations

from typing import Any

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    InlineFragmentNode,
    IntValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    ValidationContext,
    ValidationRule,
    VariableNode,
)

LISTS = {"customers": 50, "orders": 50}
"""Fields that are lists, and how long they are without a limit."""
LONGEST = 100
"""What the shop hands out at most, and so what a limit in a variable may turn out to be."""


def cost_of(selections: SelectionSetNode | None, fragments: dict[str, Any]) -> int:
    """The cost of what is selected.

    Args:
        selections: of an operation or a field.
        fragments: the document's, by name; none of them contains itself.
    """
    total = 0
    for each in selections.selections if selections else ():
        if isinstance(each, FieldNode):
            inside = cost_of(each.selection_set, fragments)
            total += 1 + _length(each) * inside
        elif isinstance(each, InlineFragmentNode):
            total += cost_of(each.selection_set, fragments)
        elif isinstance(each, FragmentSpreadNode):
            fragment = fragments.get(each.name.value)
            total += cost_of(fragment.selection_set, fragments) if fragment else 0
    return total


def _length(node: FieldNode) -> int:
    name = node.name.value
    if name not in LISTS:
        return 1
    for argument in node.arguments or ():
        if argument.name.value == "limit":
            if isinstance(argument.value, IntValueNode):
                return min(max(int(argument.value.value), 1), LONGEST)
            if isinstance(argument.value, VariableNode):
                return LONGEST
    return LISTS[name]


def _contains_itself(fragments: dict[str, FragmentDefinitionNode]) -> bool:
    """Whether a fragment leads back to itself; a rule of GraphQL's own refuses that later."""

    def names(selections: SelectionSetNode | None) -> set[str]:
        found: set[str] = set()
        for each in selections.selections if selections else ():
            if isinstance(each, FragmentSpreadNode):
                found.add(each.name.value)
            else:
                found |= names(getattr(each, "selection_set", None))
        return found

    reached = {name: names(each.selection_set) for name, each in fragments.items()}
    for _ in fragments:
        for name, direct in reached.items():
            reached[name] = direct.union(*(reached.get(each, set()) for each in direct))
    return any(name in found for name, found in reached.items())


def limit_cost(most: int) -> type[ValidationRule]:
    """A rule of validation: refuse an operation that may cost more."""

    class CostLimit(ValidationRule):
        """Counts each operation."""

        def __init__(self, context: ValidationContext) -> None:
            super().__init__(context)
            self._fragments = {
                each.name.value: each
                for each in context.document.definitions
                if isinstance(each, FragmentDefinitionNode)
            }
            self._circular = _contains_itself(self._fragments)

        def enter_operation_definition(self, node: OperationDefinitionNode, *_: Any) -> None:
            """Refuse it, or let it pass."""
            if self._circular:
                return
            cost = cost_of(node.selection_set, self._fragments)
            if cost > most:
                text = (
                    f"the query may cost {cost:,}, and {most:,} is allowed: ask for shorter lists"
                )
                self.report_error(GraphQLError(text, node, extensions={"code": "too_costly"}))

    return CostLimit
