"""The methods. They import searchplat only for its contract types, and neither Ray nor MLflow."""
