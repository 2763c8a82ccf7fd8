import * as v from 'valibot'
import { block, choice, list, show, text, wrongBlock } from './fields.ts'

export const certificateSchema = block(
  {
    ca: text({
      kind: 'path',
      description:
        'PEM file of the certificate authorities that sign client certificates. A client certificate is then verified when a client shows one. Empty: client certificates are not asked for.',
      reload: 'hot',
    }),
    key: text({
      kind: 'path',
      description: 'PEM file of the private key of `cert`, not encrypted. Needed by `ssl` and `wss` listeners.',
      reload: 'hot',
    }),
    cert: text({
      kind: 'path',
      description:
        "PEM file of the server's certificate, followed by its intermediate ones. Needed by `ssl` and `wss` listeners.",
      reload: 'hot',
    }),
    identity: choice(['username', 'cn', 'san'], {
      default: 'username',
      description:
        'Who a client with a verified certificate is. `username`: the principal without password that the username of CONNECT names, as OpenEdge does. `cn`: the principal that the common name of the certificate names. `san`: the principal that one of its subject alternative names names. `cn` and `san` need `ca`.',
      reload: 'hot',
    }),
  },
  'Certificates of the TLS listeners. Paths are relative to the working directory.',
)

export const permissionSchema = v.pipe(
  v.nullish(
    v.object(
      {
        action: v.pipe(
          v.nullish(
            v.picklist(['pub', 'sub', ''], issue => `must be pub or sub, got ${show(issue.input)}`),
            '',
          ),
          v.metadata({
            kind: 'pub | sub',
            defaultText: 'required',
            description: 'What is permitted: `pub` to publish, `sub` to subscribe.',
            reload: 'hot',
          }),
          v.picklist(['pub', 'sub'], 'must be pub or sub, got nothing'),
        ),
        permit: list(v.pipe(v.nullish(v.string('must be text'), '')), {
          kind: 'list of topic filters',
          description:
            'Topic filters that the action is permitted on, for `pub` too. Quote the ones that have a `#` behind a space or begin with `#`, which YAML takes for a comment.',
          reload: 'hot',
        }),
      },
      wrongBlock,
    ),
    {},
  ),
)

const permissions = list(permissionSchema, {
  kind: 'list',
  description: 'What is permitted; anything else is not.',
  reload: 'hot',
})

export const principalSchema = v.nullish(
  v.object(
    {
      username: text({ description: 'The name that clients log in with. Unique.', reload: 'hot' }),
      password: text({
        description:
          'Plain text, or a hash made by `openedge passwd`, which begins with `$scrypt$`. Empty: the principal is for clients with a verified certificate only.',
        reload: 'hot',
      }),
      permissions,
    },
    wrongBlock,
  ),
  {},
)

export const principalsSchema = list(principalSchema, {
  kind: 'list',
  description: 'Who may connect. None, and no `anonymous`: nobody.',
  reload: 'hot',
})

export const anonymousSchema = v.pipe(
  v.nullish(v.object({ permissions }, wrongBlock), null),
  v.metadata({
    kind: 'block',
    defaultText: 'none',
    description: 'Present: clients that send neither username nor password may connect, with these permissions.',
    reload: 'hot',
  }),
)

export type CertificateConfig = v.InferOutput<typeof certificateSchema>
export type PermissionConfig = v.InferOutput<typeof permissionSchema>
export type PrincipalConfig = v.InferOutput<typeof principalSchema>
export type AnonymousConfig = v.InferOutput<typeof anonymousSchema>
