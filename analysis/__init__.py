"""From tracked runs to a paper's tables.

    exports   MLflow -> Parquet files, and what reads them back
    papers    what the two papers print, beside which ours stand
    tables    finished trials -> means, ranks and tests -> text in five formats
    figures   exports -> pictures
    report    all of it on one HTML page

Only `exports.write` reads MLflow; everything else needs the Parquet files alone.
"""
