; A path's right edge does not go back, and no window is negative: `told` is what the path knows.
; BROKEN: s/(define-fun host_edge_now () Num .*/(define-fun host_edge_now () Num edge)/
(declare-const p Num) (declare-const old Bool) (declare-const ack Num) (declare-const edge Num)
(declare-const host_edge Num) (declare-const told Num)
(assert (and (near ack p) (near edge ack) (near host_edge ack) (near told p) (near edge p)
             (near host_edge p) (near told host_edge) (near edge host_edge) (near told edge)
             (not (after ack edge))))
(assert (not (after told (ite old host_edge (seq_max host_edge p)))))
(define-fun host_edge_now () Num (seq_max host_edge (seq_max edge ack)))
(define-fun on_path () Num (ack_on p old ack))
(define-fun edge_on_path () Num (part_edge host_edge_now on_path))
(assert (not (and (not (after told edge_on_path))
                  (bvsge (bvsub edge_on_path on_path) #x00000000))))
