"JupyterLab for this repository: notebooks are saved without noise and, but for the README's, without outputs"
import os

from nbdev.clean import clean_jupyter

from assay.core.saved import clean_notebook
from assay.pipeline.engine import ENV

c = get_config()  # noqa: F821


def clean_on_save(path, model, contents_manager, **kwargs):
    "Called by Jupyter before it writes a file"
    if model["type"] != "notebook" or path.endswith("index.ipynb"):
        clean_jupyter(path=path, model=model, contents_manager=contents_manager, **kwargs)
    else:
        model["content"].update(clean_notebook(model["content"]))


c.FileContentsManager.pre_save_hook = clean_on_save
c.ServerApp.ip = "127.0.0.1"
# no question about news, and no look for them on the network
c.LabApp.news_url = None
c.LabApp.check_for_updates_class = "jupyterlab.NeverCheckForUpdate"
# kernels compute as a stage does: one thread, the same kernels of linear algebra, UTC
os.environ.update({name: value for name, value in ENV.items() if name not in ("COLUMNS", "NO_COLOR", "TQDM_DISABLE")})
