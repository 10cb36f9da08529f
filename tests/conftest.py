def pytest_addoption(parser):
    parser.addoption("--rewrite", action="store_true", help="rewrite the outputs shown in the documentation")
