// The generator process: takes a job as JSON in its first argument, prints the result as one line of JSON.
import type { FlowJob } from './job.ts'
import { runFlow } from './run-flow.ts'

try {
  console.log(JSON.stringify(await runFlow(JSON.parse(process.argv[2] as string) as FlowJob)))
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error))
  process.exitCode = 1
}
