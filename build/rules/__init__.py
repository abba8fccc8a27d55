"""The rules of ``python -m build check``, in the order in which they are applied."""

from build.rules import golden, half, limits, parser, quantisation, static, strong
from build.rules.rule import Rule

RULES: tuple[Rule, ...] = (
    *parser.RULES,
    *static.RULES,
    *strong.RULES,
    *quantisation.RULES,
    *half.RULES,
    *limits.RULES,
    *golden.RULES,
)
