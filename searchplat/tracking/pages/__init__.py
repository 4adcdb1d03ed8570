"""What people see in MLflow's own pages: descriptions, pictures, files and sorted views."""
