"""From tracked runs to a paper's tables.

    export        MLflow -> Parquet files, in batches (parts)
    schema        the columns of these files: name, type, unit, meaning; `exported` reads them
    aggregate     trials -> cells: mean and deviation over splits
    published     what the papers print, beside which ours stand
    tables        cells -> a table (model), and its text in five formats (render, sheet)
    reproduction  an export in the layout of a paper's table (layouts, render_paper)
    comparison    rows over exports with paired tests (statistics)
    figures       exports -> pictures (drawing, sources, figures_*)
    report        all of it on one HTML page

Only `export` reads MLflow; everything after it needs the Parquet files alone.
"""
