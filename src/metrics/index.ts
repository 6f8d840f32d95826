/** `postern/metrics`: figures of this process for Prometheus. */
export { type MetricsOptions, serveMetrics } from './server.ts';
export type { Figures } from './registry.ts';
