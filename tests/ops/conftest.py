def pytest_addoption(parser):
    parser.addoption("--write-agreement", action="store_true", help="write tests/ops/agreement.csv anew")
