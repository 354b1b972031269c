"""Amazon EC2 as a provider of offers: prices, spot markets, quotas and capacity blocks of every region. For planning."""
