"""Rows of the AWS price list, as the AWS double tells them."""

from __future__ import annotations

from typing import Any


def price_row(region: str, name: str, usd: str, *, reserved: int = 0, **attributes: str) -> dict[str, Any]:
    """A row of the price list, in the nesting that GetProducts has."""
    sku = f"{abs(hash((region, name))):X}"[:16]
    dimension = {
        "unit": "Hrs",
        "beginRange": "0",
        "endRange": "Inf",
        "description": f"${usd} per On Demand Linux {name} Instance Hour",
        "appliesTo": [],
        "rateCode": f"{sku}.JRTCKXETXF.6YS6EN2CT7",
        "pricePerUnit": {"USD": usd},
    }
    term = {
        "priceDimensions": {f"{sku}.JRTCKXETXF.6YS6EN2CT7": dimension},
        "sku": sku,
        "effectiveDate": "2026-11-01T00:00:00Z",
        "offerTermCode": "JRTCKXETXF",
        "termAttributes": {},
    }
    told = {
        "servicecode": "AmazonEC2",
        "locationType": "AWS Region",
        "regionCode": region,
        "instanceType": name,
        "instanceFamily": "GPU instance",
        "operatingSystem": "Linux",
        "licenseModel": "No License required",
        "preInstalledSw": "NA",
        "tenancy": "Shared",
        "capacitystatus": "Used",
        "marketoption": "OnDemand",
        "operation": "RunInstances",
        "usagetype": f"BoxUsage:{name}",
        **attributes,
    }
    return {
        "product": {"productFamily": "Compute Instance", "attributes": told, "sku": sku},
        "serviceCode": "AmazonEC2",
        "terms": {
            "OnDemand": {f"{sku}.JRTCKXETXF": term},
            "Reserved": {
                f"{sku}.R{n}": {**term, "termAttributes": {"LeaseContractLength": "1yr"}}
                for n in range(reserved)
            },
        },
        "version": "20261120000000",
        "publicationDate": "2026-11-20T00:00:00Z",
    }
