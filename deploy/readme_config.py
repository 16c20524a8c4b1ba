"How nbs/index.ipynb becomes README.md: cells tagged remove_input show only what they display"
c = get_config()  # noqa: F821
c.NbConvertApp.export_format = "markdown"
c.NbConvertApp.log_level = "ERROR"
c.TagRemovePreprocessor.enabled = True
c.TagRemovePreprocessor.remove_input_tags = {"remove_input"}
c.MarkdownExporter.preprocessors = ["nbconvert.preprocessors.TagRemovePreprocessor"]
