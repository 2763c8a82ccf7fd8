import { listenerContract } from './listener.ts'

for (const scheme of ['tcp', 'tls', 'ws', 'wss', 'unix'] as const) listenerContract(scheme)
