"""An environment's module that needs a package which is not installed."""

import market_simulator  # type: ignore[import-not-found]  # noqa: F401


class Market: ...
