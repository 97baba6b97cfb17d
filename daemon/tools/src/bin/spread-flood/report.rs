//! The result, for people and as JSON.

use crate::Cli;
use crate::receive::Received;
use hdrhistogram::Histogram;
use serde::Serialize;
use std::fmt;

/// Everything that was measured.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    daemons: usize,
    senders: usize,
    receivers: usize,
    bytes: usize,
    service: String,
    seconds: f64,
    /// Messages sent, warm-up included.
    sent: u64,
    /// Messages per second, each counted once however many get it.
    messages_per_second: f64,
    megabits_per_second: f64,
    deliveries_per_second: f64,
    latency_microseconds: Latency,
    /// Longest time without a message, at the receiver where it was longest.
    longest_gap_milliseconds: f64,
    /// When that gap ended, in seconds since the start.
    longest_gap_at_seconds: f64,
    /// Messages that a receiver which stayed did not get.
    lost: u64,
    doubled: u64,
    /// Whether all receivers that stayed saw one order.
    one_order: bool,
    /// Views at the receiver that saw the most while it ran, and those for changes of daemons.
    views: u64,
    network_views: u64,
    /// Sessions that ended before the end.
    ended: Vec<String>,
    /// Where something is missing: messages of each sender, sent and received by each receiver.
    #[serde(skip_serializing_if = "Option::is_none")]
    counts: Option<(Vec<u64>, Vec<Vec<u64>>)>,
    #[serde(skip)]
    histogram: Histogram<u64>,
}

#[derive(Debug, Serialize)]
struct Latency {
    min: u64,
    p50: u64,
    p90: u64,
    p99: u64,
    p99_9: u64,
    max: u64,
    mean: f64,
}

impl Report {
    /// `seconds` is how long it was measured.
    pub(crate) fn new(cli: &Cli, seconds: f64, sent: &[u64], received: Vec<Received>) -> Self {
        let stayed: Vec<&Received> =
            received.iter().filter(|received| received.ended.is_none()).collect();
        let total: u64 = sent.iter().sum();
        let behind = |received: &Received| -> u64 {
            received.counts.iter().zip(sent).map(|(count, sent)| sent.saturating_sub(*count)).sum()
        };
        let lost: u64 = stayed.iter().map(|received| received.missed + behind(received)).sum();
        let mut histogram = stayed.first().map_or_else(
            || Received::new(0, 0, std::time::Instant::now(), Default::default()).latency,
            |first| first.latency.clone(),
        );
        for received in stayed.iter().skip(1) {
            let _ = histogram.add(&received.latency);
        }
        let deliveries: u64 = stayed.iter().map(|received| received.measured_messages).sum();
        let messages = deliveries as f64 / stayed.len().max(1) as f64;
        let gap = stayed.iter().map(|received| received.gap).max().unwrap_or_default();
        let most = |count: fn(&Received) -> u64| stayed.iter().map(|one| count(one)).max();
        Self {
            daemons: cli.server.len(),
            senders: sent.len(),
            receivers: received.len(),
            bytes: cli.bytes,
            service: format!("{:?}", cli.service).to_uppercase(),
            seconds,
            sent: total,
            messages_per_second: messages / seconds,
            megabits_per_second: messages / seconds * cli.bytes as f64 * 8.0 / 1e6,
            deliveries_per_second: deliveries as f64 / seconds,
            latency_microseconds: Latency {
                min: histogram.min(),
                p50: histogram.value_at_quantile(0.5),
                p90: histogram.value_at_quantile(0.9),
                p99: histogram.value_at_quantile(0.99),
                p99_9: histogram.value_at_quantile(0.999),
                max: histogram.max(),
                mean: histogram.mean(),
            },
            longest_gap_milliseconds: gap.0.as_secs_f64() * 1e3,
            longest_gap_at_seconds: gap.1.as_secs_f64(),
            lost,
            doubled: stayed.iter().map(|received| received.doubled).sum(),
            one_order: stayed.windows(2).all(|two| two[0].order_hash == two[1].order_hash),
            views: most(|received| received.views).unwrap_or(0),
            network_views: most(|received| received.network_views).unwrap_or(0),
            ended: received.iter().filter_map(|received| received.ended.clone()).collect(),
            counts: (lost > 0).then(|| {
                (sent.to_vec(), received.iter().map(|received| received.counts.clone()).collect())
            }),
            histogram,
        }
    }

    /// Whether all came, once, in one order.
    pub(crate) fn sound(&self, expect_lost: bool) -> bool {
        self.lost == 0
            && self.doubled == 0
            && self.one_order
            && (expect_lost || self.ended.is_empty())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { daemons, senders, receivers, bytes, service, seconds, .. } = self;
        writeln!(
            f,
            "{daemons} daemons, {senders} senders, {receivers} receivers, {bytes} B {service}, {seconds} s"
        )?;
        writeln!(
            f,
            "{:.0} msg/s, {:.1} Mbit/s, {:.0} deliveries/s",
            self.messages_per_second, self.megabits_per_second, self.deliveries_per_second
        )?;
        let latency = &self.latency_microseconds;
        writeln!(
            f,
            "latency in µs: p50 {}  p90 {}  p99 {}  p99.9 {}  max {}",
            latency.p50, latency.p90, latency.p99, latency.p99_9, latency.max
        )?;
        bars(f, &self.histogram)?;
        writeln!(
            f,
            "longest gap {:.1} ms, at {:.2} s; {} views, {} of them for changes of daemons",
            self.longest_gap_milliseconds,
            self.longest_gap_at_seconds,
            self.views,
            self.network_views
        )?;
        let order = if self.one_order { "one order" } else { "DIFFERENT ORDERS" };
        writeln!(
            f,
            "{} sent, {} lost, {} doubled, {order} at all receivers",
            self.sent, self.lost, self.doubled
        )?;
        for ended in &self.ended {
            writeln!(f, "a session ended: {ended}")?;
        }
        Ok(())
    }
}

/// A line for each doubling of the latency.
fn bars(f: &mut fmt::Formatter<'_>, histogram: &Histogram<u64>) -> fmt::Result {
    const WIDTH: f64 = 40.0;
    let total = histogram.len().max(1) as f64;
    let mut low = 1;
    while low <= histogram.max() {
        let count = histogram.count_between(low, low * 2 - 1);
        let share = count as f64 / total;
        if count > 0 {
            let bar = "#".repeat((share * WIDTH).round() as usize);
            writeln!(f, "  {low:>9} .. {:<9} {:>6.2} % {bar}", low * 2, share * 100.0)?;
        }
        low *= 2;
    }
    Ok(())
}
