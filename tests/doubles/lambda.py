# ruff: noqa: N999 - it is run by this name, never imported
"""`python -m tests.doubles.lambda`: the fake of Lambda Cloud, whose module cannot be imported by that name."""

from tests.doubles.fake_api import main
from tests.doubles.lambda_cloud import SCENARIOS, LambdaCloud

if __name__ == "__main__":
    main(LambdaCloud, SCENARIOS)
