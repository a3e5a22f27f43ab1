// An identity provider on loopback, made of oidc-provider as its users make one: `node issuer.mjs <port> <kid> <alg>`.
// It knows three clients that ask for tokens by themselves. Its key is new at each start. When it takes calls it says
// its address in one line; it ends with its standard input.
import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';

import Provider from 'oidc-provider';

const [port, kid, alg] = process.argv.slice(2);
const says = {
  channels: { tenant: 'default', roles: ['adapter'] },
  ann: { tenant: 'default', roles: ['agent'], queues: ['billing'] },
  stranger: { tenant: 'nobody', roles: ['adapter'] },
};

function newKey() {
  const kinds = { RS256: ['rsa', { modulusLength: 2048 }], ES256: ['ec', { namedCurve: 'P-256' }] };
  const { privateKey } = generateKeyPairSync(...kinds[alg]);
  return { ...privateKey.export({ format: 'jwk' }), kid, alg, use: 'sig' };
}

function provider(issuer) {
  return new Provider(issuer, {
    clients: Object.keys(says).map((name) => ({
      client_id: name,
      client_secret: `the-secret-of-${name}`,
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
    })),
    clientDefaults: { id_token_signed_response_alg: alg },
    jwks: { keys: [newKey()] },
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (ctx, resource) => ({
          scope: 'numbers interactions',
          audience: resource,
          accessTokenTTL: 3600,
          accessTokenFormat: 'jwt',
          jwt: { sign: { alg } },
        }),
      },
    },
    extraTokenClaims: (ctx, token) => says[token.clientId],
  });
}

const server = createServer();
server.listen(Number(port), '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  server.on('request', provider(issuer).callback());
  console.log(issuer);
});
process.stdin.on('end', () => process.exit(0)).resume();
