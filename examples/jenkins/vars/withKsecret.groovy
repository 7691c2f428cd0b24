// withKsecret(server: 'https://ksecret.example') { sh 'ksecret decrypt …' }
// withKsecret(server: …, credentialsId: 'other-token') { … }
//
// Runs its body with KSECRET_SERVER and KSECRET_TOKEN: the credential is an OpenID Connect id token, or Secret text.
def call(Map given, Closure body) {
    if (!given.server) {
        error 'withKsecret needs server: the address of the service'
    }
    String credential = given.credentialsId ?: 'ksecret-id-token'
    withCredentials([string(credentialsId: credential, variable: 'KSECRET_TOKEN')]) {
        withEnv(["KSECRET_SERVER=${given.server}"]) {
            body()
        }
    }
}
