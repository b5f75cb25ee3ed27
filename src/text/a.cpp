int hearth_text_anchor;
