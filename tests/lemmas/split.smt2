; Byte i of a segment is in the old part, the first old_bytes of it, exactly when its number is old.
; BROKEN: s/(bvult i (old_bytes cut seq))/(bvule i (old_bytes cut seq))/
(declare-const cut Num) (declare-const seq Num) (declare-const length Num) (declare-const i Num)
(assert (and (near seq cut) (bvult length #x3fffffff) (bvult i length)))
(assert (not (= (bvult i (old_bytes cut seq)) (is_old cut (bvadd seq i)))))
