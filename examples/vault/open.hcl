# To open. Whoever has this may open every Secret that the key wrapped, whatever its namespace.
path "transit/decrypt/prod" { capabilities = ["update"] }
