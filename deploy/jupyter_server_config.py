"JupyterLab for this repository: notebooks are saved without noise, in nbs/ with nbdev's hook, in pipelines/ without outputs"
from nbdev.clean import clean_jupyter

c = get_config()  # noqa: F821


def clean_on_save(path, model, contents_manager, **kwargs):
    "Apply nbdev's hook; a notebook of a stage is saved without outputs, since DVC tracks it by its bytes"
    clean_jupyter(path=path, model=model, contents_manager=contents_manager, **kwargs)
    if model["type"] != "notebook" or "pipelines/" not in path:
        return
    for cell in model["content"]["cells"]:
        if cell["cell_type"] == "code":
            cell["outputs"], cell["execution_count"] = [], None


c.FileContentsManager.pre_save_hook = clean_on_save
c.ServerApp.ip = "127.0.0.1"
