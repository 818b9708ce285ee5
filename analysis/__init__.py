"""From tracked runs to a paper's tables.

    export      MLflow -> three Parquet files
    schema      the columns of these files: name, type, unit, meaning
    aggregate   trials -> cells: mean and deviation over splits
    published   what the papers print, beside which ours stand
    tables      cells -> a table (model), and its text in four formats (render)

Only `export` reads MLflow; everything after it needs the Parquet files alone.
"""
