import pytest

from aegis.errors import MalformedData
from aegis.instruments import require_symbol


@pytest.mark.parametrize("symbol", ["AAPL", "BRK-B", "TAP.A", "AAA.1", "^GSPC", "EURUSD=X", "600519", "A", "A" * 16])
def test_symbols_of_the_field_are_accepted_as_they_are(symbol: str) -> None:
    assert require_symbol(symbol) == symbol


@pytest.mark.parametrize(
    "text",
    [
        "", "A" * 17, "'; DROP TABLE daily_bars; --", 'A"B', "A;B", "../etc", "A..B", "A/B", "A\\B", "A\x00B", "A\nB",
        "AAPL\n", "\u202eLPAA", "A\u200fB", "<b>A</b>", "=cmd()", "-A", "@A", "+A", ".A", "A B", " A", "\u0410",
        None, 5, float("nan"),
    ],
)  # fmt: skip
def test_hostile_text_is_refused_and_shown_escaped(text: object) -> None:
    with pytest.raises(MalformedData, match="is not a symbol") as refusal:
        require_symbol(text)
    assert str(refusal.value).isascii()
    assert "\x00" not in str(refusal.value)
