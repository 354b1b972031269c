"""Problems of several periods: taken apart into windows, searched one by one, with what ties them priced and proven."""
