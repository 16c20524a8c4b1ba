"JupyterLab for this repository: notebooks are saved without noise and, but for the README's, without outputs"
from nbdev.clean import clean_jupyter

c = get_config()  # noqa: F821
PLAIN = {"kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}, "language_info": {"name": "python"}}


def clean_notebook(content):
    "A notebook keeps its cells and their tags: DVC tracks a stage's notebook by its bytes, and a review reads the rest"
    content["metadata"] = PLAIN
    for cell in content["cells"]:
        cell["metadata"] = {k: v for k, v in cell["metadata"].items() if k == "tags"}
        if cell["cell_type"] == "code":
            cell["outputs"], cell["execution_count"] = [], None


def clean_on_save(path, model, contents_manager, **kwargs):
    "Called by Jupyter before it writes a file"
    if model["type"] != "notebook" or path.endswith("index.ipynb"):
        clean_jupyter(path=path, model=model, contents_manager=contents_manager, **kwargs)
    else:
        clean_notebook(model["content"])


c.FileContentsManager.pre_save_hook = clean_on_save
c.ServerApp.ip = "127.0.0.1"
