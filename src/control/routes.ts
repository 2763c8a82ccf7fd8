/** An answer; the body is sent as JSON. */
export interface Reply {
  readonly status: number
  readonly body: unknown
  /** For status 405: the method that would do. */
  readonly allow?: string
}

/** What there is at a path. */
export interface Resource {
  readonly method: 'GET' | 'POST'
  answer(query: string): Reply | Promise<Reply>
}

/** Answers a request at what is at its path, if anything is; `url` is the path, with or without a query. */
export async function route(method: string, url: string, find: (path: string) => Resource | null): Promise<Reply> {
  const [path = '', query = ''] = url.split('?', 2)
  const resource = find(path)
  if (resource === null) return { status: 404, body: { error: `there is no ${path.slice(0, 200)}` } }
  if (resource.method === method) return resource.answer(query)
  const error = `${path.slice(0, 200)} takes ${resource.method} only`
  return { status: 405, body: { error }, allow: resource.method }
}

export function ok(body: unknown): Reply {
  return { status: 200, body }
}
