/** What jobs are called, and what is asked about them. */

import { get } from "./api.js";
import { fileName } from "./format.js";

const MOST = 200;

/** What a job does, in the words of its page: the files that it takes in, or what becomes of a collection. */
export function nameOf(job) {
  if (job.task === "reembed") return `Embedding “${job.collection}” anew`;
  if (job.task === "caption") return `Captions for “${job.collection}”`;
  if (job.reread) return `Reading “${job.collection}” again`;
  if (job.source) return `A look at “${job.source}”`;
  return job.sources.length ? job.sources.map(fileName).join(", ") : job.job_id;
}

/** Where its files come from, in a line. */
export function originOf(job) {
  if (job.task || job.reread) return `the pictures of ${job.collection}`;
  return job.sources[0] || "published to Kafka";
}

/** The jobs under way that embed collections anew; of one alone where it is named. */
export async function embeddingAnew(collection, signal) {
  const { jobs } = await get("/ingest/recent_jobs", { show: "running", collection, limit: MOST }, signal);
  return jobs.filter((job) => job.task === "reembed");
}
