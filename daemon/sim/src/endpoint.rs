//! Endpoints in processes of their own, as sidecars are: their links to daemons, and what they do when one is lost.

use crate::fault::Site;
use crate::history::{ProcessEnd, ProcessHistory};
use crate::network::Arrival;
use crate::node::{Node, Up};
use crate::world::World;
use core::time::Duration;
use spread_engine::LinkId;
use spread_wire::link::{LinkEvent, RefusedAttach, Request};

/// An attach that is not answered for so long is tried at another daemon.
const ANSWER: Duration = Duration::from_secs(1);
/// Without any daemon it looks again after this long.
const NOBODY: Duration = Duration::from_millis(50);
/// How often each daemon may refuse before the endpoint gives up, since none of them can judge its attach.
const ROUNDS: usize = 3;

impl World {
    pub(crate) fn start_endpoint(&mut self, site: Site) {
        if self.sites.contains_key(&site) {
            return;
        }
        let index = self.nodes.len();
        let uid = u128::from(self.random.bits()) << 64 | u128::from(self.random.bits()) | 1;
        let delay = Duration::from_micros(self.random.between(10, 500));
        let node = Node::start_endpoint(self.now, site, uid, delay, &self.plan.settings);
        let boot = node.boot;
        self.nodes.push(node);
        self.sites.insert(site, index);
        let (slot, cuts, entries) = (site.slot, Vec::new(), Vec::new());
        let process = ProcessHistory { slot, boot, end: None, endpoint: true, cuts, entries };
        self.history.processes.push(process);
    }

    /// If it is time: attaches at any daemon that runs.
    pub(crate) fn try_attach(&mut self, index: usize) {
        let Some(remote) = &self.nodes[index].remote else { return };
        if remote.retry_at.is_none_or(|at| at > self.now) {
            return;
        }
        let only = remote.only;
        self.unlink(index);
        let daemons: Vec<usize> = self
            .sites
            .iter()
            .filter(|(site, process)| !site.is_endpoint() && !self.nodes[**process].leaving)
            .filter(|(site, _)| only.is_none_or(|only| only == **site))
            .map(|(_, process)| *process)
            .collect();
        let chosen = (!daemons.is_empty()).then(|| daemons[self.random.index(daemons.len())]);
        let Some(process) = chosen else {
            let again = self.now + NOBODY;
            if let Some(remote) = &mut self.nodes[index].remote {
                remote.retry_at = Some(again);
            }
            return;
        };
        self.links += 1;
        let link = LinkId(self.links);
        self.nodes[process].links.insert(link, index);
        let attach = self.nodes[index].front.reattach();
        let now = self.now;
        if let Some(remote) = &mut self.nodes[index].remote {
            remote.link = Some((process, link));
            remote.retry_at = Some(now + ANSWER);
        }
        let site = self.nodes[process].site;
        self.note(index, || format!("attaches at {site}, epoch {}", attach.epoch.0));
        self.say(index, Up::Attach(attach));
    }

    /// Says something over an endpoint's link.
    fn say(&mut self, index: usize, what: Up) {
        let Some(remote) = &self.nodes[index].remote else { return };
        if let Some((process, link)) = remote.link {
            self.network.push(self.now + remote.delay, Arrival::Up { process, link, what });
        }
    }

    pub(crate) fn ask_daemon(&mut self, index: usize, request: Request) {
        self.say(index, Up::Request(request));
    }

    /// Something of a daemon for the endpoint behind a link.
    pub(crate) fn down(&mut self, index: usize, link: LinkId, event: LinkEvent) {
        let Some(process) = self.nodes[index].links.get(&link).copied() else { return };
        if matches!(event, LinkEvent::AttachRefused { .. } | LinkEvent::Detached) {
            self.nodes[index].links.remove(&link);
        }
        if let Some(remote) = &self.nodes[process].remote {
            self.network.push(self.now + remote.delay, Arrival::Down { process, link, event });
        }
    }

    pub(crate) fn arrived_up(&mut self, process: usize, link: LinkId, what: Up) {
        let node = &mut self.nodes[process];
        if node.paused {
            node.inbox.push_back((link, what));
        } else if !node.ended {
            self.up(process, link, what);
        }
    }

    /// A daemon takes what came over a link.
    pub(crate) fn up(&mut self, process: usize, link: LinkId, what: Up) {
        self.trace.mix(self.now.0 ^ u64::from(link.0));
        let node = &mut self.nodes[process];
        let local = node.clock.local(self.now);
        match what {
            Up::Attach(attach) => node.daemon().attach(local, link, attach),
            Up::Request(request) => node.daemon().requests(local, link, [&request]),
            Up::End => {
                node.links.remove(&link);
                node.daemon().detach(local, link);
            }
        }
        self.pump(process);
    }

    /// An endpoint takes what came over its link.
    pub(crate) fn arrived_down(&mut self, index: usize, link: LinkId, event: LinkEvent) {
        let node = &mut self.nodes[index];
        let Some(remote) = node.remote.as_mut().filter(|_| !node.ended) else { return };
        if remote.link.is_none_or(|(_, known)| known != link) {
            return;
        }
        match event {
            LinkEvent::AttachRefused { reason } => self.refused(index, reason),
            LinkEvent::Detached => {
                remote.link = None;
                self.cut_off(index);
            }
            event => {
                if matches!(event, LinkEvent::Attached { .. }) {
                    (remote.attached, remote.retry_at, remote.refused) = (true, None, 0);
                    self.note(index, || format!("{event:?}"));
                }
                self.nodes[index].link.push_back(event);
            }
        }
        self.pump(index);
    }

    fn refused(&mut self, index: usize, reason: RefusedAttach) {
        self.note(index, || format!("is refused: {reason:?}"));
        let most = ROUNDS * self.plan.settings.daemons;
        let again = self.now + Duration::from_millis(self.random.between(1, 50));
        let Some(remote) = &mut self.nodes[index].remote else { return };
        remote.link = None;
        remote.retry_at = Some(again);
        if reason != RefusedAttach::NotReady {
            remote.refused += 1;
        }
        if remote.refused >= most {
            // Only when nobody can judge it its sessions end.
            let site = self.nodes[index].site;
            self.end(index, ProcessEnd::Refused);
            self.start_endpoint(site);
        }
    }

    /// An endpoint attaches at this daemon from now on, and at no other.
    pub(crate) fn attach_only_at(&mut self, index: usize, daemon: Site) {
        let Some(remote) = &mut self.nodes[index].remote else { return };
        remote.only = Some(daemon);
        self.unlink(index);
        if let Some(remote) = &mut self.nodes[index].remote {
            remote.retry_at = Some(self.now);
        }
        self.nodes[index].plan(self.now);
    }

    /// An endpoint's link breaks; both ends notice.
    pub(crate) fn unlink(&mut self, index: usize) {
        self.say(index, Up::End);
        if let Some(remote) = &mut self.nodes[index].remote
            && remote.link.take().is_some()
        {
            self.cut_off(index);
        }
        self.nodes[index].plan(self.now);
    }

    /// An endpoint's process ends.
    pub(crate) fn say_end(&mut self, index: usize) {
        self.say(index, Up::End);
        if let Some(remote) = &mut self.nodes[index].remote {
            remote.link = None;
        }
    }

    /// All endpoints of a daemon that ended lose their links.
    pub(crate) fn end_links(&mut self, index: usize) {
        for endpoint in core::mem::take(&mut self.nodes[index].links).into_values() {
            let Some(remote) = &mut self.nodes[endpoint].remote else { continue };
            if remote.link.is_some_and(|(process, _)| process == index) {
                remote.link = None;
                self.cut_off(endpoint);
                self.nodes[endpoint].plan(self.now);
            }
        }
    }

    /// An endpoint has no daemon any more, and looks for another one.
    fn cut_off(&mut self, index: usize) {
        let again = self.now + Duration::from_millis(self.random.between(1, 200));
        let node = &mut self.nodes[index];
        node.front.link_ended();
        let Some(remote) = &mut node.remote else { return };
        remote.retry_at = Some(again);
        if core::mem::take(&mut remote.attached) {
            let moment = self.history.tick(self.now);
            self.history.processes[index].cuts.push(moment);
            self.note(index, || "lost its daemon".into());
        }
    }
}
