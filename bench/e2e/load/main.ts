// The generator process: takes a job as JSON in its first argument, prints the result as one line of JSON.

import type { Job } from './job.ts'
import type { Result } from './result.ts'
import { runIdle } from './run-idle.ts'
import { runLoad } from './run-load.ts'
import { runRetained } from './run-retained.ts'

async function run({ target, work }: Job): Promise<Result> {
  switch (work.kind) {
    case 'load':
      return runLoad(target, work)
    case 'idle':
      return runIdle(target, work)
    case 'retained':
      return runRetained(target, work)
  }
}

try {
  console.log(JSON.stringify(await run(JSON.parse(process.argv[2] as string) as Job)))
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error))
  process.exitCode = 1
}
