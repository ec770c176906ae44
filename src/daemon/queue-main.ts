/** Entry of the process that delivers from the spool. */
import cluster from 'node:cluster'
import { QueueHost } from './queue/queue-host.ts'
import { serveSupervisor } from './supervised.ts'

process.title = 'mailmux: queue'
serveSupervisor(
  new QueueHost({
    number: cluster.worker?.id ?? 0,
    hasCrashed: process.env['MAILMUX_QUEUE_CRASHED'] === '1',
  }),
)
