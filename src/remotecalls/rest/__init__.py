"""The shop over HTTP: four steps from XML posted to one URL to hypermedia, and GraphQL."""
