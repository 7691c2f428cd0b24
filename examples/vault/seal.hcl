# To seal. Reading the key is how a typing error is told; never `create` on transit/encrypt/*, which would make a key of it.
path "transit/encrypt/prod" { capabilities = ["update"] }
path "transit/keys/prod" { capabilities = ["read"] }
